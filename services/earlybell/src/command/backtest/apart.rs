//! Whether the files of a backtest are apart: an output that is an input or another output would destroy it. Takes paths
//! with the options that name them; opens nothing.

use anyhow::bail;
use std::fs;
use std::path::{Path, PathBuf};

/// A path with the option that names it.
pub(crate) type Named = (&'static str, PathBuf);

/// So many symbolic links are followed, as Linux does.
const MOST_LINKS: u32 = 40;

/// Refuses an output that is one of the inputs or another output.
pub(crate) fn check(inputs: &[Named], outputs: &[Named]) -> anyhow::Result<()> {
    for (number, (option, path)) in outputs.iter().enumerate() {
        let Some(found) = place(path, MOST_LINKS) else { continue };
        let mut others = inputs.iter().chain(outputs.iter().take(number));
        if let Some((other, its_path)) = others.find(|(_, other)| place(other, MOST_LINKS).as_ref() == Some(&found)) {
            let (path, its_path) = (path.display(), its_path.display());
            bail!(
                "{option} {path} is the same file as {other} {its_path}, which would be lost; give {option} a file of its own"
            );
        }
    }
    Ok(())
}

/// Where a file is or would be made, whatever way leads there. Devices and pipes lose nothing: they have none.
fn place(path: &Path, links: u32) -> Option<PathBuf> {
    if let Ok(found) = fs::canonicalize(path) {
        return found.is_file().then_some(found);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(target) = fs::read_link(path) {
        return place(&folder.join(target), links.checked_sub(1)?);
    }
    Some(fs::canonicalize(folder).ok()?.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_by_whatever_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("there"), "").unwrap();
        fs::create_dir(path("sub")).unwrap();
        let same = |one: &Path, other: &Path| check(&[("--in", one.into())], &[("--out", other.into())]).is_err();
        assert!(same(&path("there"), &path("sub/../there")) && same(&path("new"), &path("./new")));
        assert!(!same(&path("there"), &path("new")) && !same(&path("there"), &path("sub/there")));
        assert!(!same(Path::new("/dev/null"), Path::new("/dev/null")));
        #[cfg(unix)]
        {
            let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, path(name)).unwrap();
            link("there", "link");
            link("new", "sub_of_new");
            link("ring", "ring");
            assert!(same(&path("there"), &path("link")) && same(&path("sub_of_new"), &path("new")));
            assert!(!same(&path("ring"), &path("ring")), "nothing can be written there");
        }
    }

    #[test]
    fn an_output_that_is_an_input_or_another_output_is_told_with_both_options() {
        let (there, new) = (PathBuf::from("there.csv"), PathBuf::from("./there.csv"));
        let outputs = [("--records", PathBuf::from("a.csv")), ("--alerts", new.clone())];
        let told = check(&[("--registers", there)], &outputs).unwrap_err().to_string();
        let expected =
            "--alerts ./there.csv is the same file as --registers there.csv, which would be lost; give --alerts";
        assert!(told.starts_with(expected), "{told}");
        let told = check(&[], &[("--alerts", new.clone()), ("--rejected", new)]).unwrap_err().to_string();
        assert!(told.starts_with("--rejected ./there.csv is the same file as --alerts"), "{told}");
    }
}
