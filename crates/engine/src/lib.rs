//! An OpenAI-compatible server on the executor of language models.
