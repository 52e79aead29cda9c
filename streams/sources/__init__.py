"""Where events come from when no connector sends them: files of history."""
