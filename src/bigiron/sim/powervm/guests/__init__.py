"""What runs in the simulated partitions: their consoles and the back ends that bring them to life."""
