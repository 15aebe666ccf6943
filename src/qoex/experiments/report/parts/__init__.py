"""What a report says, part by part: each module takes typed contents from a folder's tables."""
