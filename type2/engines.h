/* The engines that this build has. */
#ifndef TYPE2_ENGINES_H
#define TYPE2_ENGINES_H

#include "core/engine.h"
#include "core/spec.h"

/* By its name; NULL: the default. NULL if it is not in this build. */
const struct engine_ops *engine_find(const char *name);
/* The same for a VM; with NULL for its name the best that can execute it here. */
const struct engine_ops *engine_for(const struct spec_vm *vm);
/* Why `engine` cannot execute the VM on this host, in plain words; NULL: it can. */
const char *engine_refuses(const struct engine_ops *engine, const struct spec_vm *vm);
/* What to write instead of one that is not here: "interp". */
extern const char engine_names[];

/* Which one does its work, slower, where the host does not let `engine` start; NULL: none. */
const struct engine_ops *engine_instead(const struct engine_ops *engine);

#endif
