"""What `geocobot check` finds out about scenes and labels."""
