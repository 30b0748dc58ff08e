mod entries;
mod searches;
