"""What is drawn, as Vega-Lite specifications: pure, from figures to a picture's description."""
