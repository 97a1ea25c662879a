"""What the command ``russet`` does, a file for each group of commands."""
