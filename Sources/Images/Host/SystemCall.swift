// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// Makes a kernel call on `path` that answers `-1` and sets `errno`, again while interrupted.
///
/// `doing` is what it is for: "remove", as in "cannot remove /a/path".
@discardableResult
func system<Value: FixedWidthInteger>(
    _ doing: String,
    _ path: FilePath,
    _ call: (UnsafePointer<CChar>) -> Value
) throws(ImageError) -> Value {
    while true {
        let (value, code) = path.withPlatformString { path in
            let value = call(path)
            return (value, value == -1 ? errno : 0)
        }
        if value != -1 { return value }
        if code != EINTR { throw .system(doing: doing, path, Errno(rawValue: code)) }
    }
}
