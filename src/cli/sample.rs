//! `pgassay sample`: writes the sample dump, at any size.

use std::io::BufWriter;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::dataset::generators::sample::SampleSpec;
use crate::dataset::generators::sample::write_sample;

/// Beyond it the sample's own ids leave the range of `integer`.
const MAX_SCALE: u32 = 89_000;

#[derive(Debug, clap::Args)]
pub struct SampleArgs {
    /// How many times larger than the sample in the repository.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SCALE)))]
    scale: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to write; standard output when not given.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Writes the dump.
pub fn sample(args: &SampleArgs) -> anyhow::Result<()> {
    let spec = SampleSpec {
        scale: args.scale,
        seed: args.seed,
    };
    if let Some(path) = &args.output {
        let file = std::fs::File::create(path).with_context(|| format!("writing {}", path.display()))?;
        let mut out = BufWriter::new(file);
        write_sample(spec, &mut out)?;
        out.flush()?;
    } else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        write_sample(spec, &mut out)?;
        out.flush()?;
    }
    Ok(())
}
