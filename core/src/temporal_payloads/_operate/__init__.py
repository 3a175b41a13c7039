"""What histories hold, and what is done about it: reading references, fetching ahead of replays."""
