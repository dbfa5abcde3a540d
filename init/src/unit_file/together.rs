//! What can only be said of all unit files together: needs that nobody fulfils, needs in a circle, a door with two owners.

use super::{Source, UnitError};
use crate::service::Service;

pub(super) fn check(files: &[(Source, Service)]) -> Vec<UnitError> {
    let mut errors = Vec::new();
    let known = files.iter().map(|(_, service)| service.name.as_str()).collect::<Vec<_>>().join(", ");
    for (index, (source, service)) in files.iter().enumerate() {
        for need in &service.needs {
            if !files.iter().any(|(_, other)| other.name == *need) {
                errors.push(source.wrong("needs", format!("there is no {need:?}; services are: {known}")));
            }
        }
        for door in &service.doors {
            let owner = files[..index].iter().find(|(_, other)| other.doors.contains(door));
            if let Some((_, owner)) = owner {
                errors.push(source.wrong("doors", format!("{door:?} is {}'s already", owner.name)));
            }
        }
    }
    if errors.is_empty()
        && let Some((source, circle)) = find_circle(files)
    {
        errors.push(source.wrong("needs", format!("goes round in a circle: {}", circle.join(" needs "))));
    }
    errors
}

/// A service that, followed from need to need, comes back to itself; with the way.
fn find_circle(files: &[(Source, Service)]) -> Option<(&Source, Vec<String>)> {
    files.iter().find_map(|(source, service)| {
        let way = way_to(files, &service.name, service, &mut Vec::new())?;
        Some((source, [vec![service.name.clone()], way].concat()))
    })
}

/// The needs that lead from `from` to `goal`; each service is looked at once.
fn way_to<'a>(
    files: &'a [(Source, Service)],
    goal: &str,
    from: &'a Service,
    seen: &mut Vec<&'a str>,
) -> Option<Vec<String>> {
    from.needs.iter().find_map(|need| {
        if need == goal {
            return Some(vec![need.clone()]);
        }
        if seen.contains(&need.as_str()) {
            return None;
        }
        seen.push(need);
        let (_, next) = files.iter().find(|(_, service)| service.name == *need)?;
        let way = way_to(files, goal, next, seen)?;
        Some([vec![need.clone()], way].concat())
    })
}
