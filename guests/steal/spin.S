# A second hart that never rests.
    .text
    .globl spin
    .balign 4
spin:
    j spin
