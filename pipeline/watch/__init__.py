"""Film shown, stored or straight from a repository: in a terminal, as a page, a picture, a GIF or an asciicast."""
