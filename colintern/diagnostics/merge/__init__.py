"""Whether a merged model is base plus adapter."""
