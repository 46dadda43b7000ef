"""Published websocket protocols of other speech servers, spoken over one session with a CTC decoder. No socket here."""
