// SPDX-License-Identifier: BSD-2-Clause
/*
 * What boot menus mean: as Debian, Fedora and Alpine write them, and as nobody should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "menu.h"

static struct menu m;

static const struct menu_entry *chosen(const char *wanted)
{
	const struct menu_entry *e = menu_choose(&m, wanted);

	assert_non_null(e);
	return e;
}

static void extlinux(const char *text)
{
	memset(&m, 0, sizeof(m));
	menu_extlinux(&m, text, strlen(text), "/boot/extlinux");
}

static void grub(const char *text, const char *env)
{
	struct menu_env e = { env, env ? strlen(env) : 0 };

	memset(&m, 0, sizeof(m));
	menu_grub(&m, text, strlen(text), &e);
}

/* --- extlinux.conf --- */

/* As u-boot-menu of Debian writes it. */
static const char debian_extlinux[] =
	"## /boot/extlinux/extlinux.conf\n"
	"default l0\nmenu title U-Boot menu\nprompt 0\ntimeout 50\n\n\n"
	"label l0\n\tmenu label Debian GNU/Linux trixie 6.12.48-riscv64\n"
	"\tlinux /boot/vmlinux-6.12.48-riscv64\n\tinitrd /boot/initrd.img-6.12.48-riscv64\n"
	"\tfdtdir /usr/lib/linux-image-6.12.48-riscv64/\n\tappend root=/dev/xvda1 ro quiet\n\n"
	"label l0r\n\tmenu label Debian GNU/Linux trixie 6.12.48-riscv64 (rescue target)\n"
	"\tlinux /boot/vmlinux-6.12.48-riscv64\n\tinitrd /boot/initrd.img-6.12.48-riscv64\n"
	"\tappend root=/dev/xvda1 ro single\n";

static void extlinux_debian(void **state)
{
	const struct menu_entry *e;

	(void)state;
	extlinux(debian_extlinux);
	assert_int_equal(m.nr, 2);
	e = chosen(NULL);
	assert_string_equal(e->title, "Debian GNU/Linux trixie 6.12.48-riscv64");
	assert_string_equal(e->kernel, "/boot/vmlinux-6.12.48-riscv64");
	assert_int_equal(e->nr_ramdisks, 1);
	assert_string_equal(e->ramdisk[0], "/boot/initrd.img-6.12.48-riscv64");
	assert_string_equal(e->cmdline, "root=/dev/xvda1 ro quiet");
	assert_string_equal(chosen("l0r")->cmdline, "root=/dev/xvda1 ro single");
	assert_ptr_equal(chosen("1"), chosen("l0r"));
	assert_null(menu_choose(&m, "2"));
	assert_null(menu_choose(&m, "nothing"));
}

static void extlinux_words(void **state)
{
	const struct menu_entry *e;

	(void)state;
	extlinux("APPEND common\nLabel a\r\n KERNEL ../a\r\n INITRD one,/two\r\n"
		 "LABEL b\n LINUX b\n APPEND -\nlabel none\n append x\n");
	assert_int_equal(m.nr, 2);
	e = chosen(NULL);
	assert_string_equal(e->kernel, "/boot/extlinux/../a");
	assert_string_equal(e->ramdisk[0], "/boot/extlinux/one");
	assert_string_equal(e->ramdisk[1], "/two");
	assert_string_equal(e->cmdline, "common");
	assert_string_equal(chosen("b")->cmdline, "");
}

/* What does not fit is not cut: the entry goes. */
static void extlinux_too_long(void **state)
{
	static char text[4096];

	(void)state;
	snprintf(text, sizeof(text), "label a\nlinux /a\nappend %01200d\nlabel b\nlinux /%0300d\n",
		 0, 0);
	extlinux(text);
	assert_int_equal(m.nr, 0);
	assert_null(menu_choose(&m, NULL));
	extlinux("label a\nlinux /a\ninitrd 1,2,3,4,5\n");
	assert_int_equal(m.nr, 0);
	/* Whatever comes first. */
	extlinux("label a\ninitrd 1,2,3,4,5\nlinux /a\n");
	assert_int_equal(m.nr, 0);
	snprintf(text, sizeof(text), "label a\nappend %01500d\nlinux /a\n", 0);
	extlinux(text);
	assert_int_equal(m.nr, 0);
	snprintf(text, sizeof(text), "label a\nlinux /a\nappend %02500d\n", 0);
	extlinux(text);
	assert_int_equal(m.nr, 0);
	snprintf(text, sizeof(text), "append %01500d\nlabel a\nlinux /a\n", 0);
	extlinux(text);
	assert_int_equal(m.nr, 0);
	memset(&m, 0, sizeof(m));
	snprintf(text, sizeof(text), "linux /a\noptions %02500d\n", 0);
	menu_bls(&m, text, strlen(text), "a.conf", NULL);
	assert_int_equal(m.nr, 0);
}

static void many_entries(void **state)
{
	static char text[200 * 32];
	int i, n = 0;

	(void)state;
	for (i = 0; i < 200; i++)
		n += sprintf(text + n, "label l%d\nlinux /k%d\n", i, i);
	extlinux(text);
	assert_int_equal(m.nr, MENU_ENTRIES);
	assert_string_equal(chosen("l63")->kernel, "/k63");
}

/* --- Boot Loader Specification --- */

static void bls(const char *name, const char *text, const char *env)
{
	struct menu_env e = { env, env ? strlen(env) : 0 };

	menu_bls(&m, text, strlen(text), name, &e);
}

static void bls_newest(void **state)
{
	static const char conf[] = "timeout 3\ndefault fedora-*\n";

	(void)state;
	memset(&m, 0, sizeof(m));
	bls("fedora-6.9.12.conf", "title Old\nlinux /vmlinuz-6.9.12\n", NULL);
	bls("fedora-6.12.3+2-1.conf",
	    "title New\nversion 6.12.3\nlinux /vmlinuz-6.12.3\ninitrd /i1\ninitrd /i2\n"
	    "options root=/dev/xvda1 $kernelopts $tuned\noptions quiet\n",
	    "# GRUB Environment Block\nkernelopts=ro mark\n####");
	bls("zz-none.conf", "title Nothing\n", NULL);
	assert_int_equal(m.nr, 2);
	menu_bls_default(&m, conf, sizeof(conf) - 1);
	assert_string_equal(chosen(NULL)->title, "New");
	assert_string_equal(chosen(NULL)->id, "fedora-6.12.3");
	assert_string_equal(chosen(NULL)->cmdline, "root=/dev/xvda1 ro mark quiet");
	assert_int_equal(chosen(NULL)->nr_ramdisks, 2);
	assert_string_equal(chosen("fedora-6.9.12.conf")->title, "Old");
	assert_string_equal(chosen("0")->title, "New");
}

static void bls_without_default(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	bls("a-1.conf", "linux /a1\n", NULL);
	bls("a-10.conf", "linux /a10\n", NULL);
	bls("a-9.conf", "linux /a9\n", NULL);
	assert_string_equal(chosen(NULL)->kernel, "/a10");
	assert_string_equal(chosen(NULL)->title, "a-10");
}

/* A pattern that takes for ever is none. */
static void bls_pattern(void **state)
{
	static const char conf[] = "default *a*a*a*a*a*a*a*a*b\n";

	(void)state;
	memset(&m, 0, sizeof(m));
	bls("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.conf", "linux /a\n", NULL);
	menu_bls_default(&m, conf, sizeof(conf) - 1);
	assert_string_equal(chosen(NULL)->kernel, "/a");
}

/* --- grub.cfg --- */

/* In the shape of what grub-mkconfig writes on Debian. */
static const char debian_grub[] =
	"if [ -s $prefix/grubenv ]; then\n  set have_grubenv=true\n  load_env\nfi\n"
	"if [ \"${next_entry}\" ] ; then\n   set default=\"${next_entry}\"\n   set next_entry=\n"
	"   save_env next_entry\n   set boot_once=true\nelse\n   set default=\"0\"\nfi\n\n"
	"if [ x\"${feature_menuentry_id}\" = xy ]; then\n  menuentry_id_option=\"--id\"\n"
	"else\n  menuentry_id_option=\"\"\nfi\n\nexport menuentry_id_option\n"
	"function savedefault {\n  if [ -z \"${boot_once}\" ]; then\n    saved_entry=\"${chosen}\"\n"
	"    save_env saved_entry\n  fi\n}\n"
	"function load_video {\n  if [ x$feature_all_video_module = xy ]; then\n    insmod all_video\n"
	"  else\n    insmod efi_gop\n  fi\n}\n"
	"if [ x$feature_default_font_path = xy ] ; then\n   font=unicode\nelse\ninsmod ext2\nfi\n"
	"if loadfont $font ; then\n  set gfxmode=auto\nfi\n"
	"menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple-1' {\n"
	"\tload_video\n\tinsmod gzio\n\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi\n"
	"\tset root='hd0,gpt1'\n\tif [ x$feature_platform_search_hint = xy ]; then\n"
	"\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 1\n\telse\n"
	"\t  search --no-floppy --fs-uuid --set=root 1\n\tfi\n"
	"\techo\t'Loading Linux 6.12.48+deb13-riscv64 ...'\n"
	"\tlinux\t/boot/vmlinux-6.12.48 root=UUID=1 ro  quiet\n"
	"\techo\t'Loading initial ramdisk ...'\n\tinitrd\t/boot/initrd.img-6.12.48\n}\n"
	"submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-1' {\n"
	"\tmenuentry 'Linux 6.12.48' --class os $menuentry_id_option 'gnulinux-6.12.48-advanced-1' {\n"
	"\t\tlinux\t/boot/vmlinux-6.12.48 root=UUID=1 ro adv\n\t\tinitrd\t/boot/initrd.img-6.12.48\n\t}\n"
	"\tmenuentry 'Linux 6.12.43' --class os $menuentry_id_option 'gnulinux-6.12.43-advanced-1' {\n"
	"\t\tlinux\t(hd0,gpt1)/boot/vmlinux-6.12.43 root=UUID=1 ro old\n\t}\n}\n"
	"menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {\n\tfwsetup\n}\n";

static void grub_debian(void **state)
{
	const struct menu_entry *e;

	(void)state;
	grub(debian_grub, NULL);
	assert_int_equal(m.nr, 3);
	e = chosen(NULL);
	assert_string_equal(e->title, "Debian GNU/Linux");
	assert_string_equal(e->id, "gnulinux-simple-1");
	assert_string_equal(e->kernel, "/boot/vmlinux-6.12.48");
	assert_string_equal(e->cmdline, "root=UUID=1 ro quiet");
	assert_string_equal(e->ramdisk[0], "/boot/initrd.img-6.12.48");
	e = chosen("1>1");
	assert_string_equal(e->kernel, "/boot/vmlinux-6.12.43");
	assert_string_equal(e->cmdline, "root=UUID=1 ro old");
	assert_int_equal(e->nr_ramdisks, 0);
	assert_ptr_equal(chosen("Advanced options>Linux 6.12.43"), e);
	assert_ptr_equal(chosen("gnulinux-advanced-1>gnulinux-6.12.43-advanced-1"), e);
	assert_ptr_equal(chosen("gnulinux-6.12.43-advanced-1"), e);
	/* A submenu itself: its first; a number beyond */
	assert_string_equal(chosen("1")->title, "Linux 6.12.48");
	assert_null(menu_choose(&m, "2"));
}

/* GRUB_DEFAULT=saved; and what is meant for one boot only is not followed. */
static void grub_saved(void **state)
{
	static const char cfg[] =
		"if [ -s $prefix/grubenv ]; then load_env; fi\n"
		"if [ \"${next_entry}\" ]; then set default=\"${next_entry}\"; else set default=\"${saved_entry}\"; fi\n"
		"menuentry 'A' --id a { linux /a }\nmenuentry 'B' --id b { linux /b }\n";

	(void)state;
	grub(cfg, "# GRUB Environment Block\nsaved_entry=b\nnext_entry=a\n####\n");
	assert_string_equal(chosen(NULL)->kernel, "/b");
	grub(cfg, NULL);
	assert_string_equal(chosen(NULL)->kernel, "/a");
}

static void grub_conditions(void **state)
{
	const char *const yes[] = {
		"[ a = a ]",	      "[ a != b ]",
		"[ -n x ]",	      "[ -z \"\" ]",
		"! [ a = b ]",	      "[ ! a = b ]",
		"test x == x",	      "true",
		"[ a = b -o c = c ]", "[ a = a -a c = c ]",
		"[ \"$prefix\" ]",    "[ x = x -a a = b -o c = c ]",
	};
	const char *const no[] = {
		"[ a = b ]", "[ -z x ]", "[ \"\" ]",	       "[ ]",	       "[",
		"false",     "frob",	 "[ a = a -a c = d ]", "[ -d /boot ]", "[ a = a"
	};
	char text[256];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(yes) / sizeof(*yes) + sizeof(no) / sizeof(*no); i++) {
		bool is = i < sizeof(yes) / sizeof(*yes);

		snprintf(
			text, sizeof(text),
			"if %s; then set k=yes; elif [ 1 = 1 ]; then set k=no; else set k=never; fi\n"
			"menuentry x { linux /$k }\n",
			is ? yes[i] : no[i - sizeof(yes) / sizeof(*yes)]);
		grub(text, NULL);
		assert_string_equal(chosen(NULL)->kernel, is ? "/yes" : "/no");
	}
}

static void grub_words(void **state)
{
	(void)state;
	grub("set a=1; set b=\"x $a\"\nmenuentry \"T '$b'\" { linux /k 'single $a' a\\ b \"d \\\"q\\\" \\n\" ${a}2 $c \"\" "
	     "# comment\n}\n",
	     NULL);
	assert_string_equal(chosen(NULL)->title, "T 'x 1'");
	assert_string_equal(chosen(NULL)->cmdline, "single $a a b d \"q\" \\n 12");
	grub("menuentry a {\n linux /k one \\\n two\n}", NULL);
	assert_string_equal(chosen(NULL)->cmdline, "one two");
	/* Functions and loops are passed over, whatever stands in them. */
	grub("function f { menuentry no { linux /no } }\nfor x in 1 2; do menuentry no2 { linux /no }; done\n"
	     "if false; then menuentry no3 { linux /no }; fi\nmenuentry yes { linux /yes }\n",
	     NULL);
	assert_int_equal(m.nr, 1);
	assert_string_equal(chosen(NULL)->kernel, "/yes");
	assert_string_equal(chosen("0")->kernel, "/yes");
}

static void grub_broken(void **state)
{
	static char text[70000];
	int i, n = 0;

	(void)state;
	grub("}}}} fi done menuentry", NULL);
	assert_int_equal(m.nr, 0);
	grub("menuentry 'unfinished { linux /k", NULL);
	assert_int_equal(m.nr, 0);
	grub("menuentry a { linux /k", NULL);
	assert_int_equal(m.nr, 1);
	for (i = 0; i < 100; i++)
		n += sprintf(text + n, "submenu s%d {\n", i);
	sprintf(text + n, "menuentry deep { linux /k }\n");
	grub(text, NULL);
	assert_int_equal(m.nr, 0);
	/* A command line that does not fit takes its entry along. */
	n = sprintf(text, "menuentry a { linux /k ");
	memset(text + n, 'x', 2000);
	strcpy(text + n + 2000, " }\nmenuentry b { linux /b }\n");
	grub(text, NULL);
	assert_string_equal(chosen(NULL)->kernel, "/b");
	snprintf(
		text, sizeof(text),
		"set v=%0600d\nmenuentry a { linux /a $v }\nmenuentry b { initrd 1 2 3 4 5\nlinux /b }\n",
		0);
	grub(text, NULL);
	assert_int_equal(m.nr, 0);
	/* Words without end */
	n = sprintf(text, "menuentry a { linux /k ");
	memset(text + n, 'y', 60000);
	strcpy(text + n + 60000, " }\n");
	grub(text, NULL);
	assert_int_equal(m.nr, 0);
}

/* A file that loads it a thousand times is no more work than one that does so once. */
static void grub_env_once(void **state)
{
	(void)state;
	grub("load_env\nsaved_entry=1\nload_env\ndefault=saved\n"
	     "menuentry a { linux /a }\nmenuentry b { linux /b }\nmenuentry c { linux /c }\n",
	     "saved_entry=2\n");
	assert_string_equal(chosen(NULL)->kernel, "/b");
}

/* There may be more than a menu has room for: the newest are it. */
static void bls_sorted(void **state)
{
	char text[200][32], *name[200];
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		snprintf(text[i], sizeof(text[i]), "d-6.%d%s.conf", i * 7 % 200,
			 i % 2 ? "+3-1" : "");
		name[i] = text[i];
	}
	menu_bls_sort(name, 200);
	for (i = 0; i < 200; i++) {
		char id[32];

		snprintf(id, sizeof(id), "d-6.%d", 199 - i);
		assert_true(!strncmp(name[i], id, strlen(id)) && strchr("+.", name[i][strlen(id)]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extlinux_debian),   cmocka_unit_test(extlinux_words),
		cmocka_unit_test(extlinux_too_long), cmocka_unit_test(many_entries),
		cmocka_unit_test(bls_newest),	     cmocka_unit_test(bls_without_default),
		cmocka_unit_test(bls_pattern),	     cmocka_unit_test(grub_debian),
		cmocka_unit_test(grub_saved),	     cmocka_unit_test(grub_conditions),
		cmocka_unit_test(grub_words),	     cmocka_unit_test(grub_broken),
		cmocka_unit_test(grub_env_once),     cmocka_unit_test(bls_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
