//! The pictures of the dashboards, which `tests/pictures/draw` draws, are those of the dashboards as they
//! are now. Drawing them needs too much to be a test itself.

use aws_lc_rs::digest::{SHA256, digest};
use pretty_assertions::assert_eq;

use crate::deploy::place;

/// Each picture, and the dashboard that it shows.
const PICTURES: [(&str, &str); 3] = [
    ("deploy/grafana/fleet.png", "deploy/grafana/fleet.json"),
    ("deploy/grafana/fleet-more.png", "deploy/grafana/fleet.json"),
    ("deploy/grafana/sync.png", "deploy/grafana/sync.json"),
];

/// A picture loads with a page of documentation.
const MAX_BYTES: usize = 300_000;

/// The value of a text in a PNG file: of the chunk `tEXt` with this keyword.
fn png_text(png: &[u8], keyword: &str) -> Option<String> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let mut rest = png.strip_prefix(SIGNATURE)?;
    // A chunk is its length, its type, its data and a checksum.
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (chunk, after) = after.split_at_checked(4 + length)?;
        if let Some(text) = chunk.strip_prefix(b"tEXt") {
            let (name, value) = text.split_at(text.iter().position(|byte| *byte == 0)?);
            if name == keyword.as_bytes() {
                return String::from_utf8(value[1..].to_vec()).ok();
            }
        }
        rest = after.get(4..)?;
    }
    None
}

#[test]
fn the_pictures_show_the_dashboards_as_they_are() {
    for (picture, dashboard) in PICTURES {
        let png = std::fs::read(place(picture)).unwrap();
        let drawn = png_text(&png, "Dashboard-SHA256").unwrap_or_else(|| panic!("{picture} has no checksum"));
        let json = std::fs::read(place(dashboard)).unwrap();
        let now: Vec<String> =
            digest(&SHA256, &json).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let now = now.concat();
        assert_eq!(drawn, now, "{dashboard} has changed since {picture} was drawn; run tests/pictures/draw");
        assert!(png.len() < MAX_BYTES, "{picture} has {} bytes", png.len());
    }
}

#[test]
fn every_picture_has_a_text_of_its_own() {
    let page = crate::deploy::text("deploy/grafana/README.md");
    for (picture, _) in PICTURES {
        let name = picture.rsplit('/').next().unwrap();
        let (before, _) =
            page.split_once(&format!("]({name})")).unwrap_or_else(|| panic!("{name} is not shown"));
        let description = before.rsplit("![").next().unwrap();
        assert!(description.len() > 60, "{name}: {description}");
    }
}
