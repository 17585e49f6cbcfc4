/* What the firmware itself needs of the board: machine interrupts, the timer, power. */
#ifndef TYPE0_BOARD_H
#define TYPE0_BOARD_H

#include "core/fdt.h"
#include "type0/hart.h"

enum board_power { BOARD_OFF, BOARD_REBOOT, BOARD_FAILED };

/* Finds them. */
void board_setup(const struct fdt *fdt);
/* Fills in msip and mtimecmp; NULL: there is none. `intc` is the phandle of the hart's controller.
 */
void board_hart(const struct fdt *fdt, struct hart *hart, uint32_t intc);
_Noreturn void board_power(enum board_power power, uint32_t code);

#endif
