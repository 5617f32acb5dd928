import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import security
from bijlighar.dlms.errors import Forged, LocalProtocolError, Malformed, Truncated
from bijlighar.dlms.security import Mechanism, Protection

key = st.binary(min_size=16, max_size=16)
title = st.binary(min_size=8, max_size=8)
counter = st.integers(0, 2**32 - 1)


class TestProtection:
    @given(ek=key, ak=key, title=title, counter=counter, plain=st.binary(max_size=300))
    def test_is_aes_gcm_with_a_tag_of_twelve_octets(self, ek, ak, title, counter, plain):
        nonce = title + counter.to_bytes(4, "big")
        encryptor = Cipher(algorithms.AES(ek), modes.GCM(nonce, min_tag_length=12)).encryptor()
        encryptor.authenticate_additional_data(b"\x30" + ak)
        expected = encryptor.update(plain) + encryptor.finalize() + encryptor.tag[:12]

        sealed = Protection(ek=ek, ak=ak).protect(plain, control=0x30, title=title, counter=counter)

        assert sealed == b"\x30" + counter.to_bytes(4, "big") + expected

    @given(ek=key, ak=key, title=title, counter=counter, plain=st.binary(max_size=100))
    @pytest.mark.parametrize("control", [0x00, 0x10, 0x20, 0x30])
    def test_opens_what_it_sealed(self, control, ek, ak, title, counter, plain):
        keys = Protection(ek=ek, ak=ak)

        sealed = keys.protect(plain, control=control, title=title, counter=counter)

        assert keys.unprotect(sealed, title=title) == (plain, True)

    @given(data=st.data(), plain=st.binary(min_size=1, max_size=100))
    @pytest.mark.parametrize("control", [0x10, 0x30])
    def test_sees_any_flipped_bit_behind_the_control(self, control, data, plain):
        keys = Protection(ek=bytes(16), ak=bytes(range(16)))
        sealed = bytearray(keys.protect(plain, control=control, title=b"BIJ00001", counter=7))
        sealed[data.draw(st.integers(1, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

        assert keys.unprotect(bytes(sealed), title=b"BIJ00001")[1] is False

    @pytest.mark.parametrize("octets", ["", "30", "3000000001", "300000000100112233445566778899aa"])
    def test_tells_what_is_cut_off(self, octets):
        with pytest.raises(Truncated):
            Protection(ek=bytes(16), ak=bytes(16)).unprotect(bytes.fromhex(octets), title=b"BIJ00001")

    @pytest.mark.parametrize("used_up", [-1, 1 << 32])
    def test_never_wraps_the_counter(self, used_up):
        with pytest.raises(LocalProtocolError):
            Protection(ek=bytes(16), ak=bytes(16)).protect(
                b"", control=0x30, title=b"BIJ00001", counter=used_up
            )


class TestSuites:
    @pytest.mark.parametrize(("suite", "octets"), [(0, 16), (1, 16), (2, 32)])
    @given(title=title, counter=counter, plain=st.binary(max_size=100))
    def test_are_aes_gcm_with_the_keys_of_their_length(self, suite, octets, title, counter, plain):
        ek, ak = bytes(range(octets)), bytes(range(octets, 2 * octets))
        nonce = title + counter.to_bytes(4, "big")
        encryptor = Cipher(algorithms.AES(ek), modes.GCM(nonce, min_tag_length=12)).encryptor()
        encryptor.authenticate_additional_data(bytes((0x30 | suite,)) + ak)
        expected = encryptor.update(plain) + encryptor.finalize() + encryptor.tag[:12]
        keys = Protection(ek=ek, ak=ak, suite=suite)

        sealed = keys.protect(plain, control=0x30, title=title, counter=counter)

        assert sealed == bytes((0x30 | suite,)) + nonce[8:] + expected
        assert keys.unprotect(sealed, title=title) == (plain, True)

    def test_do_not_open_what_another_sealed(self):
        keys = {suite: Protection(ek=bytes(16), ak=bytes(16), suite=suite) for suite in (0, 1)}
        sealed = keys[0].protect(b"plain", control=0x30, title=bytes(8), counter=1)

        with pytest.raises(Malformed):
            keys[1].unprotect(sealed, title=bytes(8))
        assert not keys[1].gmac_holds(
            keys[0].gmac(bytes(8), title=bytes(8), counter=1), bytes(8), title=bytes(8)
        )

    def test_wrap_keys_of_both_lengths(self):
        for octets in (16, 32):
            kek, key = bytes(octets), bytes(range(octets))

            assert security.unwrap_key(kek=kek, wrapped=security.wrap_key(kek=kek, key=key)) == key


class TestProofs:
    @pytest.mark.parametrize("mechanism", [Mechanism.HLS2, Mechanism.HLS3, Mechanism.HLS4])
    @given(challenge=st.binary(min_size=8, max_size=64), secret=key)
    def test_of_a_secret_are_made_of_the_challenge(self, mechanism, challenge, secret):
        def holds(given: bytes, to: bytes) -> bool:
            return security.secret_answer_holds(given, to, secret=secret, mechanism=mechanism)

        answer = security.secret_answer(challenge, secret=secret, mechanism=mechanism)

        assert holds(answer, challenge)
        assert not holds(answer[:-1], challenge)
        assert not holds(answer, challenge[:-1] + bytes((challenge[-1] ^ 1,)))

    def test_of_mechanisms_3_and_4_are_the_digests_of_challenge_and_secret(self):
        # MD5 and SHA-1 of "abc", as RFC 1321 and FIPS 180 print them.
        found = [
            security.secret_answer(b"a", secret=b"bc", mechanism=mechanism).hex()
            for mechanism in (Mechanism.HLS3, Mechanism.HLS4)
        ]

        assert found == ["900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d"]

    @given(challenge=st.binary(min_size=8, max_size=64), counter=counter)
    def test_of_mechanism_5_are_bound_to_title_and_keys(self, challenge, counter):
        keys, others = Protection(ek=bytes(16), ak=bytes(16)), Protection(ek=bytes(16), ak=b"\x01" * 16)

        answer = keys.gmac(challenge, title=b"BIJ00001", counter=counter)

        assert keys.gmac_holds(answer, challenge, title=b"BIJ00001")
        assert not keys.gmac_holds(answer, challenge, title=b"BIJ00002")
        assert not others.gmac_holds(answer, challenge, title=b"BIJ00001")
        assert not keys.gmac_holds(b"\x30" + answer[1:], challenge, title=b"BIJ00001")
        assert not keys.gmac_holds(answer[:-1], challenge, title=b"BIJ00001")


class TestUnwrapKey:
    def test_refuses_another_key_or_a_changed_one(self):
        wrapped = security.wrap_key(kek=bytes(16), key=bytes(range(16)))

        for kek, octets in (
            (b"\x01" * 16, wrapped),
            (bytes(16), wrapped[:-1] + b"\x00"),
            (bytes(16), b"short"),
        ):
            with pytest.raises(Forged):
                security.unwrap_key(kek=kek, wrapped=octets)


class TestMechanism:
    def test_knows_which_are_of_high_level(self):
        assert [mechanism for mechanism in Mechanism if mechanism.is_high_level] == [
            *(Mechanism.HLS2, Mechanism.HLS3, Mechanism.HLS4, Mechanism.HLS5),
        ]
