"""A whole world of clients, servers, networks and a store in one thread, on one clock, out of one seed."""
