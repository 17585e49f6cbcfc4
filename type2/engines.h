/* The engines that this build has. */
#ifndef TYPE2_ENGINES_H
#define TYPE2_ENGINES_H

#include "core/engine.h"

/* By its name; NULL: the default. NULL if it is not in this build. */
const struct engine_ops *engine_find(const char *name);
/* What to write instead of one that is not here: "interp". */
extern const char engine_names[];

/* Which one does its work, slower, where the host does not let `engine` start; NULL: none. */
const struct engine_ops *engine_instead(const struct engine_ops *engine);

#endif
