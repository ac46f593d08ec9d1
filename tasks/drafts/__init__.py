"""Look at drafts of calibrations and strategies over several tubes, edit, compare, release them."""
