%{
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grammar of xl.cfg.
 * Owns recovery: a bad line is reported once and the next line is read as if nothing had happened,
 * so that one run shows all mistakes.
 */
#include <stdlib.h>

#include "cfg.h"
#include "cfg_parse.h"
#include "cfg_lex.h"

static void cfg_yyerror(void *scanner, struct cfg *c, const char *msg);
static void set_key(struct cfg *c, const struct cfg_value *v);
%}

%define api.pure full
%define api.prefix {cfg_yy}
%define api.value.type {union cfg_token}
%param {void *scanner}
%parse-param {struct cfg *c}

%code requires {
#include "cfg.h"
}

%code provides {
/* For flex: its function with the bridge to this parser's values. */
#define YY_DECL int cfg_yylex(union cfg_token *yylval, void *yyscanner)
YY_DECL;
}

%token <value> IDENT STRING NUMBER
%token UNCLOSED BAD PLUS_EQUALS
%type <value> atom key
%type <setting> value list items

%destructor { free($$.text); } <value>
%destructor { cfg_setting_free($$); } <setting>

%%

file:	  %empty
	| file line
	;

line:	  end
	| setting end
	| error end		{ yyerrok; c->key[0] = '\0'; c->quiet = false; }
	;

end:	  '\n'
	| ';'
	;

setting:  key '=' value		{ $3->key = $1.text; $3->line = $1.line; cfg_add(c, $3, false);
				  c->key[0] = '\0'; }
	| key PLUS_EQUALS value	{ $3->key = $1.text; $3->line = $1.line; cfg_add(c, $3, true);
				  c->key[0] = '\0'; }
	;

key:	  IDENT			{ $$ = $1; set_key(c, &$1); }
	;

value:	  atom			{ $$ = cfg_setting_new(false); cfg_setting_push($$, $1); }
	| '[' newlines list ']'	{ $$ = $3; }
	;

list:	  %empty		{ $$ = cfg_setting_new(true); }
	| items			{ $$ = $1; }
	| items ',' newlines	{ $$ = $1; }
	;

items:	  atom newlines		{ $$ = cfg_setting_new(true); cfg_setting_push($$, $1); }
	| items ',' newlines atom newlines
				{ $$ = $1; cfg_setting_push($$, $4); }
	;

atom:	  STRING
	| NUMBER
	;

newlines: %empty
	| newlines '\n'
	;

%%

static void set_key(struct cfg *c, const struct cfg_value *v)
{
	snprintf(c->key, sizeof(c->key), "%s", v->text);
}

static void cfg_yyerror(void *scanner, struct cfg *c, const char *msg)
{
	(void)msg;
	cfg_syntax_error(c, cfg_yyget_text(scanner));
}
