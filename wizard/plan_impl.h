/* plan_impl.h - what plan.c and plan_check.c share; nobody else includes it. */
#ifndef RSIO_PLAN_IMPL_H
#define RSIO_PLAN_IMPL_H

#include "plan.h"

struct plan {
	struct conf_text *text;
	struct conf_client *before;
	struct plan_answer **answers;
	size_t count;
	bool laid;		/* the text has them all */
};

void plan_lay(struct plan *p);

#endif
