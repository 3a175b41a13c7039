"""From settings and plugins to the SDK's `DataConverter`: one file for each part of it."""
