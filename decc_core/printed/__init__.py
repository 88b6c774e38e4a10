"""What is taken along: figures for print, and tables that say what they are about."""
