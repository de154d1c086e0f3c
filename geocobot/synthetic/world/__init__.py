"""An endless world in torch: batches of small pictures with labels, made while a network trains.

Nothing is planned ahead as in `synthetic.place`: like a shader, every pixel works out for itself
what it lies on, so that the cost does not depend on what there is to see, and a batch can be
drawn on whatever learns from it. Lengths are metres on the ground.
"""
