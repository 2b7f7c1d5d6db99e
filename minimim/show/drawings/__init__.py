"""The drawings of the course, by the lesson's subject: each is a function over real tensors, so that none can go stale."""
