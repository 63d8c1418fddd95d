"""What a run needs from any server: results, the sender, and what follows a failed try."""
