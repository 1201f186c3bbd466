"""ComputeDriver by concern: each module is one part of the class that `driver.py` puts together."""
