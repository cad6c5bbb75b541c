"""memory_law: loss against how many of the stream's last steps are known, from 1 to 65,536."""
