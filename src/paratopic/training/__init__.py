"""Steps of training that both kinds of model share."""
