"""What a run is told, its recipe, and the folder that it leaves behind."""
