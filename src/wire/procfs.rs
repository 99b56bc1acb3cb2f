//! What the kernel says of a host in /proc (V-530): numbers out of its tables. What cannot be read is left out.

use std::collections::BTreeMap;

/// Counters of two directions: received and sent, or read and written, in bytes.
pub type Pair = (u64, u64);

/// Bytes of a sector in /proc/diskstats, whatever the disk has.
const SECTOR_BYTES: u64 = 512;

/// Entries that are taken of a table: interfaces, disks, partitions. A host with containers may have thousands.
const ENTRIES_MAX: usize = 256;

/// `/proc/stat`: time at work and idle, of all processors together and then of each.
pub fn processors(text: &str) -> Vec<Pair> {
    let rows = text.lines().take_while(|line| line.starts_with("cpu")).take(ENTRIES_MAX);
    rows.map(|line| {
        let times: Vec<u64> = line.split_ascii_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
        let time = |at: usize| times.get(at).copied().unwrap_or(0);
        // user, nice, system, irq, softirq, steal; idle and iowait.
        (time(0) + time(1) + time(2) + time(5) + time(6) + time(7), time(3) + time(4))
    })
    .collect()
}

/// `/proc/meminfo`: all of the memory in bytes, and how much of it is used, in percent.
pub fn memory(text: &str) -> Option<(u64, f64)> {
    let kilobytes = |name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    let (total, available) = (kilobytes("MemTotal:")?, kilobytes("MemAvailable:")?);
    let used = total.saturating_sub(available) as f64;
    (total > 0).then(|| (total * 1024, 100.0 * used / total as f64))
}

/// `/proc/net/dev`: bytes of each interface.
pub fn interfaces(text: &str) -> BTreeMap<String, Pair> {
    let rows = text.lines().filter_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<&str> = numbers.split_ascii_whitespace().collect();
        Some((name.trim().to_string(), (numbers.first()?.parse().ok()?, numbers.get(8)?.parse().ok()?)))
    });
    rows.take(ENTRIES_MAX).collect()
}

/// `/proc/diskstats`: bytes of each disk. Parts of disks, and what is none, are left out.
pub fn disks(text: &str) -> BTreeMap<String, Pair> {
    let mut found: BTreeMap<String, Pair> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(name) = words.next() else { continue };
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let (Some(read), Some(written)) = (numbers.get(2), numbers.get(6)) else { continue };
        let is_virtual = ["loop", "ram", "zram", "fd", "sr"].iter().any(|kind| name.starts_with(kind));
        // A part follows its disk, and is called after it.
        let is_part = found.keys().any(|disk| name.len() > disk.len() && name.starts_with(disk.as_str()));
        if !is_virtual && !is_part && found.len() < ENTRIES_MAX {
            found.insert(name.to_string(), (read * SECTOR_BYTES, written * SECTOR_BYTES));
        }
    }
    found
}

/// `/proc/mounts`: where partitions of disks are mounted, each once.
pub fn mounts(text: &str) -> Vec<String> {
    let mut devices: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(device), Some(place)) = (words.next(), words.next()) else { continue };
        let is_physical = device.starts_with("/dev/") && !device.starts_with("/dev/loop");
        if is_physical && !devices.contains(&device) && found.len() < ENTRIES_MAX {
            devices.push(device);
            found.push(place.replace("\\040", " "));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel() {
        let stat = "cpu  10 1 5 100 4 1 2 3 9 9\ncpu0 5 0 2 50 2 0 1 1 0 0\nintr 7\ncpu1 1 1 1 1\n";
        assert_eq!(processors(stat), [(22, 104), (9, 52)]);
        assert_eq!(processors("nonsense"), []);
        let meminfo = "MemTotal:        1000 kB\nMemFree: 1 kB\nMemAvailable:   250 kB\n";
        assert_eq!(memory(meminfo), Some((1_024_000, 75.0)));
        assert_eq!(memory("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
        let dev = "Inter-|   Receive |  Transmit\n face |bytes packets\n    lo: 100 1 0 0 0 0 0 0 200 1 0\n  eth0:7 1 0 0 0 0 0 0 9\n";
        assert_eq!(interfaces(dev), [("lo".to_string(), (100, 200)), ("eth0".to_string(), (7, 9))].into());
        let diskstats =
            "254 0 vda 1 0 2 0 3 0 4 0 0 0 0\n254 1 vda1 1 0 1 0 1 0 1 0 0\n7 0 loop0 1 0 1 0 1 0 1\n8 0 sda x\n";
        assert_eq!(disks(diskstats), [("vda".to_string(), (1024, 2048))].into());
        let mounted = "/dev/vda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n/dev/vda1 /mnt ext4 rw 0 0\n/dev/vdb /a\\040b xfs rw 0 0\n";
        assert_eq!(mounts(mounted), ["/", "/a b"]);
    }
}
