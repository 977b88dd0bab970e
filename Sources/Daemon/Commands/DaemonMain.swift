// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser

/// What `sandboxd serve` and `sandboxd db` become: the first passes its options as they are, the
/// second comes with its name.
@main
enum DaemonMain {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "db" {
            await DatabaseCommand.main(Array(arguments.dropFirst()))
        } else {
            await ServeCommand.main(Array(arguments))
        }
    }
}
