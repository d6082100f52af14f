//! Programs as they are read, and what is said of texts that are none.

use proptest::prelude::*;

use super::expression::NAMED;
use super::*;

fn read(text: &str) -> Vec<Command> {
    parse("p", text)
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        .commands
}

/// The only SQL command of a text.
fn statement(text: &str) -> Statement {
    match read(text).remove(0).action {
        Action::Sql(statement) => statement,
        other => panic!("{other:?}"),
    }
}

/// The expression of a text.
fn expr(text: &str) -> Expr {
    match read(&format!("\\if {text}\n\\endif")).remove(0).action {
        Action::If(expr) => expr,
        other => panic!("{other:?}"),
    }
}

fn refusal(text: &str) -> String {
    parse("p", text).unwrap_err().to_string()
}

#[test]
fn a_program_is_sql_and_commands_with_their_lines() {
    let program = read(
        "\u{feff}-- first\n\\set n \\\n  :scale\n\nselect\n  :n;\nupdate t set x = 1 \\gset p_\n\\sleep 3 ms\n\
         \\if :n\n\\elif 2\n\\else\nend\n\\endif\n;",
    );
    let set = Action::Set {
        variable: "n".to_owned(),
        expr: Expr::Variable("scale".to_owned()),
    };
    let sleep = Action::Sleep {
        time: SleepTime::Constant(3),
        unit: SleepUnit::Milliseconds,
    };
    let actions: Vec<&Action> = program.iter().map(|command| &command.action).collect();
    assert!(matches!(
        actions[..],
        [
            _,
            Action::Sql(_),
            Action::Sql(_),
            _,
            Action::If(_),
            Action::Elif(_),
            Action::Else,
            Action::Sql(_),
            Action::Endif,
            Action::Sql(_)
        ]
    ));
    assert_eq!((actions[0], actions[3]), (&set, &sleep));
    let texts: Vec<(&str, Option<&str>)> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Sql(statement) => Some((statement.text.as_str(), statement.gset.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(
        texts,
        [
            ("select\n  :n", None),
            ("update t set x = 1", Some("p_")),
            ("end", None),
            (";", None)
        ]
    );
    let lines: Vec<u64> = program.iter().map(|command| command.line).collect();
    assert_eq!(lines, [2, 5, 7, 8, 9, 10, 11, 12, 13, 14]);
}

#[test]
fn lines_are_counted_on_behind_a_command_of_several_lines() {
    let lines: Vec<u64> = read("\\set x \\\r\n 1 \\\n + 2\nselect 1;\nselect 'a\nb'; select 2")
        .iter()
        .map(|c| c.line)
        .collect();
    assert_eq!(lines, [1, 4, 5, 6]);
}

#[test]
fn variables_are_found_wherever_pgbench_finds_them() {
    let text = "select :a, b::int, :::c, :1, ':d', \"x:e\", $q$:f$q$, /* :g */ a[1:h], :\u{e4}1 -- :i";
    let statement = statement(text);
    let found: Vec<(&str, Place)> = statement
        .variables
        .iter()
        .map(|used| (used.name.as_str(), used.place))
        .collect();
    assert_eq!(
        found,
        [
            ("a", Place::Sql),
            ("d", Place::Quotes),
            ("e", Place::Quotes),
            ("f", Place::Quotes),
            ("g", Place::Comment),
            ("h", Place::Sql),
            ("\u{e4}1", Place::Sql),
            ("i", Place::Comment),
        ]
    );
    for used in &statement.variables {
        assert_eq!(statement.text[used.start..used.end], format!(":{}", used.name));
    }
}

#[test]
fn a_backslash_in_front_of_a_semicolon_joins_queries() {
    let joined = statement("select 1\\; select :x \\;\n;");
    assert_eq!(
        (joined.text.as_str(), joined.is_compound),
        ("select 1; select :x ;", true)
    );
    assert_eq!(joined.variables[0].start, 17);
    assert!(!statement("select 1 \\;").is_compound);
    assert_eq!(statement("\\; select 1").text, "select 1");
}

#[test]
fn comments_in_front_of_sql_stay_if_the_server_may_read_them() {
    assert_eq!(
        statement("-- a\n/*+ SeqScan(t) */ select 1; -- b").text,
        "/*+ SeqScan(t) */ select 1"
    );
    assert_eq!(read("/* a licence */\n\\set x 1\n/* the end */").len(), 1);
}

#[test]
fn a_semicolon_ends_sql_outside_of_what_encloses_it_only() {
    let text = "create function f() returns int begin atomic select 1; end; select (1;2); select ';'";
    assert_eq!(read(text).len(), 3);
}

#[test]
fn operators_bind_as_in_pgbench() {
    for (text, parenthesised) in [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("-:a * 2", "(-:a) * 2"),
        ("~:a + 2", "~(:a + 2)"),
        ("~:a & 2", "(~:a) & 2"),
        ("1 | 2 + 3 << 4", "(1 | (2 + 3)) << 4"),
        ("not 1 = 2 and 3 < 4 or true", "((not (1 = 2)) and (3 < 4)) or true"),
        ("1 * not 2 = 3 or true", "(1 * (not (2 = 3))) or true"),
        ("1 + 2 is not null", "not ((1 + 2) is null)"),
        ("not 1 isnull", "not (1 is null)"),
        ("1 < 2 isnull < 3", "((1 < 2) is null) < 3"),
        ("1 notnull is true", "(not (1 is null)) is true"),
        ("1 > 2", "2 < 1"),
        ("1 >= 2", "2 <= 1"),
        ("1 != 2", "1 <> 2"),
        ("1 % 2", "mod(1, 2)"),
        ("-1", "0 - 1"),
        ("~1", "(0 - 1) # 1"),
        ("case when 1 then 2 end", "case when 1 then 2 else null end"),
        ("hash(1)", "hash(1, :default_seed)"),
        ("permute(1, 2)", "permute(1, 2, :default_seed)"),
        ("POWER(1, PI())", "pow(1, pi())"),
    ] {
        // What is written is 0 - 1, and what is meant by ~ is the constant.
        let expected = match expr(parenthesised) {
            Expr::Call(Function::BitXor, mut operands) => {
                operands[0] = Expr::Constant(Value::Int(-1));
                Expr::Call(Function::BitXor, operands)
            }
            other => other,
        };
        assert_eq!(expr(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_program_is_refused_with_its_place() {
    for (text, refused) in [
        (
            "",
            "line 1, column 1: The program is empty: there is neither SQL nor a backslash command in it.",
        ),
        (
            "select 1;\n  \\shell rm",
            "line 2, column 4: \\shell would run a program on this machine, which no benchmark here may do.",
        ),
        (
            "\\setshell x ls",
            "line 1, column 2: \\setshell would run a program on this machine, which no benchmark here may do.",
        ),
        (
            "select 1 \\aset",
            "line 1, column 11: \\aset is not known here; \\gset takes the row of one query.",
        ),
        (
            "\\startpipeline",
            "line 1, column 2: \\startpipeline cannot be run: a client here waits for each statement, and there are no pipelines.",
        ),
        (
            "\\echo x",
            "line 1, column 2: There is no command \\echo; there are \\set, \\sleep, \\if, \\elif, \\else, \\endif and \\gset.",
        ),
        (
            "\\if 1\nselect 1;",
            "line 1, column 1: There is no \\endif to this \\if.",
        ),
        (
            "select 1;\n\\endif",
            "line 2, column 1: There is no \\if to this \\endif.",
        ),
        (
            "\\if 1\n\\else\n \\else\n\\endif",
            "line 3, column 2: This is the second \\else of its \\if.",
        ),
        (
            "\\gset",
            "line 1, column 1: \\gset must stand behind an SQL command, whose row it takes.",
        ),
        (
            "select 1 \\gset\n\\gset",
            "line 2, column 1: \\gset must stand behind an SQL command, whose row it takes.",
        ),
        (
            "select 1 \\gset 1a",
            "line 1, column 16: No name of a variable can begin with \"1a\".",
        ),
        (
            "\\set 1a 2",
            "line 1, column 6: \"1a\" is no name for a variable: it takes letters, digits and _, no digit in front.",
        ),
        (
            "\\set \u{e4} 'x'",
            "line 1, column 8: \"'\" has no place in an expression.",
        ),
        (
            "\\set x 1 + \\\n  )",
            "line 2, column 3: A value should stand here, not ).",
        ),
        (
            "\\set x 1 +",
            "line 1, column 11: A value should stand here, not the end of the line.",
        ),
        (
            "\\set x 1 < 2 = true",
            "line 1, column 14: A comparison cannot be compared without parentheses around it.",
        ),
        (
            "\\set x random(1)",
            "line 1, column 8: random takes 2 arguments, not 1.",
        ),
        (
            "\\set x hash()",
            "line 1, column 8: hash takes 1 to 2 arguments, not 0.",
        ),
        ("\\set x 1e999", "line 1, column 8: The number 1e999 is out of range."),
        (
            "\\set x 9999999999999999999",
            "line 1, column 8: The number 9999999999999999999 is out of range.",
        ),
        (
            "\\sleep 1 hour",
            "line 1, column 10: \"hour\" is no unit of time; there are us, ms and s.",
        ),
        (
            "\\sleep soon",
            "line 1, column 8: \"soon\" is no time: a whole number should stand here, and us, ms or s behind it.",
        ),
        ("\\else x", "line 1, column 7: \\else should end in front of x."),
        (
            "select 'a\n",
            "line 1, column 8: The string that is opened here is never closed.",
        ),
        (
            "\n/* a",
            "line 2, column 1: The comment that is opened here is never closed.",
        ),
        (
            "select (1;\nselect 2",
            "line 1, column 1: The statement that begins here has parentheses or a body that are never closed.",
        ),
        (
            "select (1\n\\set x 1",
            "line 1, column 1: The statement here is cut off by a backslash command inside of its parentheses or its body.",
        ),
        (
            "copy t from stdin;",
            "line 1, column 1: COPY from or to the client cannot be run in a program, as under pgbench.",
        ),
        (
            "select 1 \0",
            "line 1, column 10: There is a NUL byte; this is no text.",
        ),
    ] {
        assert_eq!(refusal(text), refused, "{text:?}");
    }
    assert!(refusal("\\set x f(1)").starts_with("line 1, column 8: There is no function f; there are abs, debug,"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    assert_eq!(
        refusal(&"x".repeat(1 << 20 | 1)),
        "line 1, column 1: The program is longer than 1024 KiB."
    );
    let deep = "the expression is more than 256 operations deep; work parts of it out by \\set first.";
    let nested = refusal(&format!("\\set x {}1", "(".repeat(100_000)));
    assert!(nested.to_lowercase().ends_with(deep), "{nested}");
    let chained = refusal(&format!("\\set x 1{}", "+1".repeat(100_000)));
    assert!(chained.to_lowercase().ends_with(deep), "{chained}");
    expr(&format!("1{}", " + 1".repeat(200)));
    expr(&format!("{}1{}", "(".repeat(200), ")".repeat(200)));
}

#[test]
fn a_program_names_the_variables_that_it_never_sets() {
    let program = |text| parse("p", text).unwrap();
    let text =
        "\\set a :b + random(1, :scale)\n\\if :c\n\\sleep :d ms\n\\endif\nselect :a, :e, ':f', hash(:given) /* :g */";
    let missing: Vec<_> = program(text)
        .missing(&["given"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(missing, ["b", "c", "d", "e"]);
    let gets = program("select 1 as p_x \\gset p_\nselect :p_x, :q_x, :p_;");
    assert_eq!(gets.missing(&[]).into_iter().collect::<Vec<_>>(), ["p_", "q_x"]);
    let tpcb = "\\set aid random(1, 100000 * :scale)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;";
    assert!(program(tpcb).missing(&[]).is_empty());
}

#[test]
fn a_program_says_why_it_needs_the_simple_protocol() {
    let check = |text| {
        parse("p", text)
            .unwrap()
            .check_parameters(&["given"])
            .map_err(|error| error.to_string())
    };
    assert_eq!(check("select ':unknown', :x, /* :given */ a[1:2]"), Ok(()));
    assert_eq!(
        check("select 1;\nselect ':given'").unwrap_err(),
        "line 2: The variable :given stands between quotes, where a server takes no parameter. Choose the simple protocol."
    );
    assert!(check("\\set x 1\nselect $$:x$$").is_err());
    assert_eq!(
        check("select 1\\; select 2").unwrap_err(),
        "line 1: Several queries joined by \\; cannot be sent with parameters. Choose the simple protocol."
    );
    assert!(check(&format!("select{}", " :x".repeat(65_536))).is_err());
}

#[test]
fn names_of_variables_are_letters_digits_and_underscores() {
    for name in ["x", "_1", "Ab9", "\u{e4}"] {
        assert!(is_variable_name(name), "{name}");
    }
    for name in ["", "1x", "a-b", "a b", "a$", "?column?"] {
        assert!(!is_variable_name(name), "{name}");
    }
}

/// What programs are put together from, and torn apart.
#[rustfmt::skip]
const FRAGMENTS: &[&str] = &[
    ";", "\n", "\n", "\\\n", "\\\r\n", "\\", "\\;", "\\:", "'", "\"", "$$", "$a$", "/*", "*/", "--", "(", ")", ",", " ", "\t",
    "\\set x ", "\\set ", "\\if ", "\\elif ", "\\else\n", "\\endif\n", "\\sleep ", "\\gset ", "\\shell", "\\ ", ":", "::", ":x",
    ":x", "1", "2.5", "9223372036854775808", "1e", "1e9", ".", "e", "+", "-", "~", "*", "<", "=", "<>", ">>", "|", "is ", "not ",
    "null", "case ", "when ", "then ", "else ", "end", "and ", "random(", "hash(", "abs(", "pi()", "select ", "begin atomic ",
    "create function f() ", "copy t from stdin", "ms", "us", "\u{e4}", "\u{feff}", "\0", "\u{b}", "\u{2028}", "@",
];

fn soup() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        9 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ];
    prop::collection::vec(fragment, 0..40).prop_map(|fragments| fragments.concat())
}

/// Every function with its arguments in parentheses, as a person would have to write it to be sure.
fn spelled(expr: &Expr) -> String {
    match expr {
        Expr::Constant(Value::Null) => "null".to_owned(),
        Expr::Constant(Value::Boolean(value)) => value.to_string(),
        Expr::Constant(Value::Int(value)) => value.to_string(),
        Expr::Constant(Value::Double(value)) => format!("{value:?}"),
        Expr::Variable(name) => format!(":{name}"),
        Expr::And(left, right) => format!("({} AND {})", spelled(left), spelled(right)),
        Expr::Or(left, right) => format!("({} or {})", spelled(left), spelled(right)),
        Expr::Case(whens, otherwise) => {
            let whens = whens
                .iter()
                .map(|(when, then)| format!(" when {} then {}", spelled(when), spelled(then)));
            format!("case{} else {} end", whens.collect::<String>(), spelled(otherwise))
        }
        Expr::Call(Function::Not, operands) => format!("(not {})", spelled(&operands[0])),
        Expr::Call(function, operands) => {
            let operands: Vec<String> = operands.iter().map(spelled).collect();
            if let Some((_, sign)) = OPERATORS.iter().find(|(operator, _)| operator == function) {
                return format!("({})", operands.join(sign));
            }
            let (name, ..) = NAMED.iter().find(|(_, named, ..)| named == function).unwrap();
            format!("{name}({})", operands.join(", "))
        }
    }
}

const OPERATORS: [(Function, &str); 14] = [
    (Function::Add, " + "),
    (Function::Subtract, "-"),
    (Function::Multiply, "*"),
    (Function::Divide, "/"),
    (Function::Modulo, " % "),
    (Function::BitAnd, "&"),
    (Function::BitOr, "|"),
    (Function::BitXor, " # "),
    (Function::ShiftLeft, "<<"),
    (Function::ShiftRight, ">>"),
    (Function::Equal, "="),
    (Function::NotEqual, "!="),
    (Function::Less, "<"),
    (Function::LessOrEqual, "<="),
];

fn tree() -> impl Strategy<Value = Expr> {
    let constant = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        (0..i64::MAX).prop_map(Value::Int),
        (0.0..1e300).prop_map(Value::Double),
    ];
    let leaf = prop_oneof![
        constant.prop_map(Expr::Constant),
        "[a-z_][a-z0-9_]{0,4}".prop_map(Expr::Variable),
    ];
    leaf.prop_recursive(5, 30, 4, |inner| {
        let operator = prop::sample::select(OPERATORS.map(|(operator, _)| operator).to_vec());
        let two = (inner.clone(), inner.clone());
        let boxed = two.clone().prop_map(|(left, right)| (Box::new(left), Box::new(right)));
        let named = prop::sample::select(NAMED.to_vec())
            .prop_filter("a seed is added", |(_, function, least, most)| {
                least == most && *function != Function::Modulo
            });
        prop_oneof![
            (operator, two.clone()).prop_map(|(operator, (left, right))| Expr::Call(operator, vec![left, right])),
            inner
                .clone()
                .prop_map(|operand| Expr::Call(Function::Not, vec![operand])),
            (named, prop::collection::vec(inner.clone(), 3)).prop_map(|((_, function, _, most), mut operands)| {
                operands.truncate(most);
                Expr::Call(function, operands)
            }),
            boxed.clone().prop_map(|(left, right)| Expr::And(left, right)),
            boxed.prop_map(|(left, right)| Expr::Or(left, right)),
            (prop::collection::vec(two, 1..3), inner)
                .prop_map(|(whens, otherwise)| Expr::Case(whens, Box::new(otherwise))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_read_is_read_or_refused_at_a_place_in_it(text in soup()) {
        match parse("p", &text) {
            Ok(program) => {
                let n_lines = text.split('\n').count() as u64;
                prop_assert!(program.commands.iter().all(|command| (1..=n_lines).contains(&command.line)));
                prop_assert!(program.commands.is_sorted_by_key(|command| command.line));
                for name in program.missing(&[]) {
                    prop_assert!(is_variable_name(name) || name.starts_with(|first: char| first.is_ascii_digit()), "{}", name);
                }
            }
            Err(error) => {
                let line = text.split('\n').nth(error.line - 1);
                prop_assert!(line.is_some_and(|line| error.column <= line.chars().count() + 1), "{}", error);
                prop_assert!(error.message.ends_with('.'), "{}", error);
            }
        }
    }

    #[test]
    fn an_expression_that_is_written_out_is_read_as_it_was(tree in tree()) {
        prop_assert_eq!(expr(&spelled(&tree)), tree);
    }
}
