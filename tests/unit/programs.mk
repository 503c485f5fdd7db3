# SPDX-License-Identifier: BSD-2-Clause
# What the unit tests on core/'s host world share (tests/unit, tests/unit/riscv): running the programs, and what is generated of the
# table of hypercalls. To be included once KIND (what stands before a program's name in messages), TESTS, O, TOP, HYP, PYTHON, CC,
# CPPFLAGS and CFLAGS are set.

GEN := $(HYP)/scripts/gen-hypercalls
GEN_LIST := $(TOP)/tests/unit/core/gen-list
Q := $(if $(V),,@)
.PHONY: all check clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(TESTS:%=$(O)/%)

# A program prints its cases only when one fails. LLVM_PROFILE_FILE: for MODE=coverage.
check: all
	$(Q)set -e; for t in $(TESTS); do \
		if CASE='$(or $(CASE),*)' LLVM_PROFILE_FILE=$(O)/$$t.profraw $(O)/$$t > $(O)/$$t.log 2>&1; then \
			echo "  TEST     $(KIND)/$$t: $$(grep -c '^\[       OK' $(O)/$$t.log) cases"; \
		else cat $(O)/$$t.log; echo "$(KIND)/$$t failed" >&2; exit 1; fi; \
	done

$(O)/handlers.h $(O)/hypercall_table.c $(O)/hypercall_list.h &: $(HYP)/core/hypercalls.tbl $(GEN) $(GEN_LIST)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) $(GEN) --h $< > $(O)/handlers.h
	$(Q)$(PYTHON) $(GEN) --c $< > $(O)/hypercall_table.c
	$(Q)$(PYTHON) $(GEN) --json $< | $(PYTHON) $(GEN_LIST) > $(O)/hypercall_list.h

$(O)/hyp/hypercall_table.o: $(O)/hypercall_table.c $(O)/handlers.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
