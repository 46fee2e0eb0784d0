/* answers_impl.h - what answers.c and answers_record.c share; nobody else includes it. */
#ifndef RSIO_ANSWERS_IMPL_H
#define RSIO_ANSWERS_IMPL_H

#include "answers.h"

/* Is this no key, but where one is? */
bool answers_key_is_elsewhere(const char *value);

#endif
