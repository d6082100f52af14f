//! What the kinds of nodes do, a sentence each, for a reader who does not know EXPLAIN's words.

/// A sentence on a node type, as EXPLAIN's JSON names it; none for those that explain themselves or are rare.
pub fn about(node_type: &str) -> Option<&'static str> {
    Some(match node_type {
        "Seq Scan" => "reads the whole table, page after page",
        "Index Scan" => "looks rows up in an index, then fetches each of them from the table",
        "Index Only Scan" => "answers from the index alone, except for pages that changed lately",
        "Bitmap Index Scan" => "collects from an index where the wanted rows are, without fetching them",
        "Bitmap Heap Scan" => "fetches the collected rows from the table, in the order of its pages",
        "BitmapAnd" | "BitmapOr" => "combines what several indexes collected",
        "Nested Loop" => {
            "for each row of its first input, runs its second input: good for few rows, a disaster for many"
        }
        "Hash Join" => "reads its second input into a hash table, then looks every row of its first input up in it",
        "Hash" => "the hash table of the hash join above",
        "Merge Join" => "goes through two inputs that are sorted alike, side by side",
        "Materialize" => "keeps the rows of its input in memory, because they are read more than once",
        "Memoize" => "remembers the answers for keys that come again, so that its input runs less often",
        "Sort" => "reads all its input, then gives it back in order",
        "Incremental Sort" => "completes an order that its input has in part, group by group",
        "Aggregate" => {
            "computes sums, counts and groups; by hashing all groups at once, or group by group from sorted input"
        }
        "Group" => "makes one row of each group of sorted rows",
        "Unique" => "drops repeated rows of sorted input",
        "WindowAgg" => "computes window functions",
        "Limit" => "stops its input after so many rows, so that below it nothing may have run to its end",
        "Append" => "gives the rows of its inputs one input after the other",
        "Merge Append" => "merges sorted inputs into one order",
        "Gather" | "Gather Merge" => "collects the rows of parallel workers",
        "CTE Scan" => "reads the rows of a WITH query",
        "Subquery Scan" => "passes on the rows of a subquery",
        "Result" => "computes a row, or nothing at all when its condition is false",
        "ModifyTable" => "inserts, updates or deletes what its input finds",
        _ => return None,
    })
}
