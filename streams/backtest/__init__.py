"""What the alerts would have said about history, and how often they would have been right."""
