//! What both are asked.

use proptest::prelude::*;

/// Expressions with values, each function and each operator among them.
pub fn with_values() -> Vec<String> {
    let listed = VALUES.iter().map(|expr| (*expr).to_owned());
    let hashed = [0, 1, -1, 10, 987_654_321, i64::MAX, i64::MIN + 1]
        .into_iter()
        .flat_map(|value| {
            [
                format!("hash({value})"),
                format!("hash_murmur2({value}, {value})"),
                format!("hash_fnv1a({value}, 5432)"),
                format!("permute({value}, 1000000007, {value})"),
            ]
        });
    let sizes = [1, 2, 3, 4, 5, 7, 8, 100, 1 << 40, i64::MAX].into_iter();
    let permuted = sizes.flat_map(|size| (0..5).map(move |value| format!("permute({value}, {size}, 17)")));
    listed.chain(hashed).chain(permuted).collect()
}

const VALUES: [&str; 100] = [
    "1 + 2 * 3 - -4",
    "-2 - 3 - 4",
    "100 / 7 / 2",
    "-7 / 2",
    "-7 % 3",
    "7 % -3",
    "5.5 % 4",
    "7 / 2.0",
    "1 - 2.5e-3",
    ".5 + 1.",
    "2 * 1e20",
    "1e15",
    "1e14 + 0.5",
    "123456789012345678",
    "0.1 + 0.2",
    "1.0 / 3",
    "0.0001",
    "0.00001234",
    "-1e-300",
    "1e308 * 10",
    "-1.0 / 0",
    "0.0 / 0",
    "- 0.0",
    "-9223372036854775808",
    "9223372036854775807",
    "- -5",
    "+ + 5",
    "-+-5",
    "~0",
    "~1 + 2",
    "~ 2 * 3",
    "~5 & 3",
    "- ~ 5",
    "5 & 3 | 8 # 1",
    "1 << 4 >> 2",
    "1 << 65",
    "-1 >> 70",
    "-8 >> 1",
    "1 + 2 << 3",
    "1 | 2 = 3",
    "5 > 4",
    "5 >= 5",
    "4 < 4.5",
    "5 <= 4",
    "5 = 5.0",
    "5 <> 4",
    "5 != 5",
    "3.5 < 3.5",
    "0.0 / 0 = 0.0 / 0",
    "0.0 / 0 <> 1",
    "not true",
    "not not false",
    "not 1 = 2",
    "not 1 = 2 and false",
    "true and false or true",
    "true or false and false",
    "false and 1 / 0 = 1",
    "true or 1 / 0 = 1",
    "false and null",
    "true and null",
    "null and false",
    "null or true",
    "false or null",
    "1 is null",
    "null is null",
    "null is not null",
    "1 = 1 is true",
    "1 is true",
    "false is not true",
    "1 isnull",
    "1 + null isnull",
    "1 notnull",
    "null + 1",
    "null = null",
    "not null",
    "case when 1 > 2 then 1 when 2.5 then 2 else 3 end",
    "case when null then 1 end",
    "case when 0 then 1 when 0.0 then 2 when false then 3 else case when true then 4 end end + 1",
    "abs(-17)",
    "abs(17.5 - 20)",
    "abs(-9223372036854775807 - 1)",
    "greatest(5, 4, 3, 2)",
    "GREATEST(1)",
    "least(5, 4, 3, 2.1)",
    "least(1, null)",
    "int(5.4 + 3.8)",
    "int(0.5)",
    "int(1.5)",
    "int(-2.5)",
    "double(5432)",
    "exp(1.0)",
    "ln(2.718281828459045)",
    "ln(-1)",
    "mod(54, 32)",
    "pi()",
    "pow(2.0, 10)",
    "power(2, 0.5)",
    "sqrt(2)",
    ":given + :half",
    ":yes and :nothing is null",
];

/// Expressions without one, and what pgbench's complaint begins with.
pub const WITHOUT_VALUES: [(&str, &str); 22] = [
    ("1 / 0", "division by zero"),
    ("1 % 0", "division by zero"),
    ("9223372036854775807 + 1", "bigint add out of range"),
    ("-9223372036854775808 - 1", "bigint sub out of range"),
    ("4611686018427387904 * 2", "bigint mul out of range"),
    ("-9223372036854775808 / -1", "bigint div out of range"),
    ("int(1e30)", "double to int overflow"),
    ("int(0.0 / 0)", "double to int overflow"),
    ("1 and true", "cannot coerce int to boolean"),
    ("true and 2.5", "cannot coerce double to boolean"),
    ("not 1", "cannot coerce int to boolean"),
    ("true + 1", "cannot coerce boolean to int"),
    ("1 isnull = false", "cannot coerce boolean to int"),
    ("sqrt(true)", "cannot coerce boolean to double"),
    ("random(2, 1)", "empty range given to random"),
    ("random(-9223372036854775808, 0)", "random range is too large"),
    ("random(0, 9223372036854775807)", "random range is too large"),
    (
        "random_exponential(1, 2, 0)",
        "exponential parameter must be greater than zero",
    ),
    ("random_gaussian(1, 2, 1.9)", "gaussian parameter must be at least"),
    ("random_zipfian(1, 2, 1)", "zipfian parameter must be in range"),
    ("random_zipfian(1, 2, 1000.5)", "zipfian parameter must be in range"),
    ("permute(1, 0)", "permute size parameter must be greater than zero"),
];

/// Programs that neither takes.
pub const REFUSED_BY_BOTH: [&str; 45] = [
    "",
    "-- nothing\n",
    "\\set",
    "\\set x",
    "\\set x 1 2",
    "\\set x 1 +",
    "\\set x (1",
    "\\set x 1)",
    "\\set x 1 < 2 < 3",
    "\\set x 1 = 2 <> 3",
    "\\set x f(1)",
    "\\set x random(1)",
    "\\set x random(1, 2, 3)",
    "\\set x pi(1)",
    "\\set x least()",
    "\\set x hash()",
    "\\set x hash(1, 2, 3)",
    "\\set x permute(1)",
    "\\set x 9223372036854775808",
    "\\set x 9223372036854775809",
    "\\set x - 1 - 9223372036854775808",
    "\\set x 1e400",
    "\\set x 1e",
    "\\set x 'text'",
    "\\set x y",
    "\\set x :",
    "\\set x case 1 when 1 then 2 end",
    "\\set x case when 1 then 2",
    "\\set x case end",
    "\\set x 1 is 2",
    "\\set x 1;",
    "\\set x and",
    "\\if 1\nselect 1;",
    "\\if\n\\endif",
    "\\elif 1",
    "\\else",
    "\\endif",
    "\\if 1\n\\else\n\\else\n\\endif",
    "\\if 1\n\\else\n\\elif 1\n\\endif",
    "\\if 1\n\\endif 2",
    "\\sleep",
    "\\sleep x",
    "\\sleep 1 h",
    "\\gset",
    "\\unknown",
];

/// Programs that both take.
pub const ACCEPTED_BY_BOTH: [&str; 13] = [
    ";",
    "select 1",
    "select 1; \\gset",
    "select 1 \\gset x_\nselect 2 \\gset",
    "\\SET X Pi()\n\\If :X\n\\ENDIF\n\\Sleep 1MS",
    "\\ set x 1",
    "\\\n\\set x 1\\\n+ 2 \\\n\n",
    "\\set x 1\r\n\\set y 2 \\\r\n+ 3\r\nselect 1;\r\n",
    "\\if 1 \\\n > 2\n\\if 2\n\\elif 3\n\\else\n\\endif\n\\else\n\\endif",
    "\\sleep 10 us\n\\sleep 10s\n\\sleep -1\n\\sleep +1ms\n\\sleep :x ms\n\\sleep :x",
    "\\set \u{e4} 1\nselect :\u{e4};",
    "select 1 \\set x 2",
    "\\set x -9223372036854775808 - -9223372036854775808",
];

/// A generated number. Parentheses are rare, so that the grammar has to part the operators.
pub fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => (-20_i64..100).prop_map(|value| value.to_string()),
        1 => any::<i64>().prop_map(|value| value.to_string()),
        2 => prop::sample::select(vec!["0.5", "2.5", "1e3", "-1.25e-2", "3.", ".75", ":given", ":half", "null"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let operator = prop::sample::select(vec![
            "+", "+", "-", "-", "*", "*", "/", "%", "&", "|", "#", "<<", ">>",
        ]);
        let condition = condition(inner.clone());
        prop_oneof![
            8 => (inner.clone(), operator, inner.clone()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
            1 => (prop::sample::select(vec!["-", "+", "~"]), inner.clone()).prop_map(|(sign, inner)| format!("{sign} {inner}")),
            2 => inner.clone().prop_map(|inner| format!("({inner})")),
            1 => (prop::sample::select(vec!["abs", "int", "double", "sqrt", "hash", "least", "greatest"]), inner.clone())
                .prop_map(|(name, inner)| format!("{name}({inner})")),
            1 => (prop::sample::select(vec!["least", "greatest", "mod", "hash_fnv1a", "pow"]), inner.clone(), inner.clone())
                .prop_map(|(name, left, right)| format!("{name}({left}, {right})")),
            1 => (condition, inner.clone(), inner).prop_map(|(when, then, otherwise)| {
                format!("case when {when} then {then} else {otherwise} end")
            }),
        ]
    })
}

fn condition(number: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = String> {
    let comparison = prop::sample::select(vec!["=", "<>", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        4 => (number.clone(), comparison, number.clone()).prop_map(|(left, comparison, right)| format!("{left} {comparison} {right}")),
        1 => number.prop_map(|number| format!("{number} is not null")),
        1 => Just("true".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let operator = prop::sample::select(vec!["and", "or", "AND"]);
        prop_oneof![
            3 => (inner.clone(), operator, inner.clone()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
            1 => inner.clone().prop_map(|inner| format!("not {inner}")),
            1 => inner.prop_map(|inner| format!("({inner})")),
        ]
    })
}
