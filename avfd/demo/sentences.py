"""What the people of the demo corpus say, and with which espeak-ng voices."""

from __future__ import annotations

VOICES = {
    "female": ("en-us+f1", "en+f2", "en-gb-x-rp+f3", "en-us+f4", "en+f5", "en-gb-scotland+Annie"),
    "male": ("en-us+m1", "en+m2", "en-gb-x-rp+m3", "en-us+m4", "en+m7", "en-gb-scotland+Alex"),
}

SENTENCES = (
    "The harbour was quiet when the first boats came home this morning.",
    "We counted every lamp along the road and two of them were broken.",
    "My neighbour keeps four old clocks and none of them agree on the hour.",
    "If the rain stops before noon, we can still walk up to the tower.",
    "She opened the letter slowly and read the last line aloud, twice.",
    "Nobody told the baker that the market had moved across the river.",
    "The train was late again, so we shared the apples and waited.",
    "I have painted this wall three times and the colour is still wrong.",
    "Put the heavy boxes at the bottom and the glasses on the top shelf.",
    "There is a small garden behind the station that few people know.",
    "He laughed so loudly that the whole room turned round to look.",
    "The winter was long, but the bees came through it without any loss.",
    "Could you carry this ladder as far as the corner of the yard?",
    "Our teacher drew a map from memory and it was nearly perfect.",
    "They repaired the bridge in a single night, under bright lights.",
    "I would rather lose the game than argue about the rules again.",
    "The soup needs more salt, a little lemon and ten more minutes.",
    "From the roof you can hear the sea on a calm summer evening.",
    "Write the number down, because you will not remember it tomorrow.",
    "The museum bought the smallest picture and hung it by the door.",
    "Seven children built a raft, and to our surprise it floated well.",
    "Please speak after the tone and tell us where you found the key.",
    "A cold wind came over the hill and put out all of our candles.",
    "It was the happiest day of the year and nobody took a photograph.",
)
