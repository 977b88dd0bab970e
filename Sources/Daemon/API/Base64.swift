// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials

/// Base64, strictly.
enum Base64 {
    static func decode(_ text: String, key: String) throws(APIError) -> [UInt8] {
        guard let data = Data(base64Encoded: text) else {
            throw .invalid("\(key) is not valid base64")
        }
        return Array(data)
    }

    static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
    }
}
