"""Looking at emails before anybody gets them: as data, as a picture, and as the very bytes that would be sent."""
