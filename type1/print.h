/* core/print.h, under the name by which type 1 has known it. */
#ifndef TYPE1_PRINT_H
#define TYPE1_PRINT_H

#include "core/print.h"

#endif
