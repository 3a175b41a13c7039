"""What can be seen from outside: metrics, spans and logs, made from the events that core tells."""
