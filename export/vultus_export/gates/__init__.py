"""Gates: may a lowered model be published? Judged on decoded records of real pictures, against one table of limits."""
