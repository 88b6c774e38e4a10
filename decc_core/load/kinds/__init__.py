"""What a file is, told by its content, and the sentence for what is not taken."""
