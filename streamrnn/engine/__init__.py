"""The engine: arena, sessions, scheduler, snapshots. Pure: the clock is passed in."""
