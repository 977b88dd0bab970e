// SPDX-License-Identifier: Apache-2.0
#include "CCurl.h"

#include <errno.h>
#include <sys/socket.h>

CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_body(CURL *easy, const void *bytes, size_t count) {
    // The size first: the bytes are copied when they are set.
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes);
}

CURLcode ccurl_set_takers(CURL *easy, ccurl_take header, ccurl_take body, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
}

CURLcode ccurl_set_giver(CURL *easy, ccurl_give give, void *context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
    return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_READDATA, context);
}

CURLcode ccurl_set_sockets(CURL *easy, ccurl_open open, void *open_context, ccurl_close close,
                           void *close_context) {
    CURLcode code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, open_context);
    if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close);
    return code != CURLE_OK ? code
                            : curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, close_context);
}

int ccurl_socket(const struct curl_sockaddr *address) {
    int fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : -errno;
}

int ccurl_peer_user(int socket, uint32_t *ret_user) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -errno;
    // Of a socket that is not connected the kernel tells nobody.
    if (peer.pid == 0 && peer.uid == (uid_t)-1) return -ENOTCONN;
    *ret_user = peer.uid;
    return 0;
}

int ccurl_connect_errno(CURL *easy) {
    long error = 0;
    return curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error) == CURLE_OK ? (int)error : 0;
}

CURLMcode ccurl_set_multi(CURLM *multi, ccurl_watch watch, ccurl_schedule schedule, void *context,
                          long connections) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, schedule);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context);
    return code != CURLM_OK ? code : curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
}

int ccurl_is_done(const CURLMsg *message, CURLcode *ret_result) {
    if (message->msg != CURLMSG_DONE) return 0;
    *ret_result = message->data.result;
    return 1;
}
