/* deploy_unit.c - dist/rssrv.service, as the host gets it; make writes the lines. */
#include "deploy_impl.h"

const char deploy_unit_text[] =
#include <deploy_unit.inc>
;
